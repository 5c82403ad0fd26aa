import { expect, test } from "bun:test";
import { screen } from "../../tools/demo/screen.ts";

function terminal(columns = 80, rows = 24) {
  const size = { columns, rows };
  const written: string[] = [];
  const write = (text: string) => void written.push(text);
  const last = () => written.at(-1) ?? "";
  return { ...size, write, written, last };
}

test("what happened stays above, and the panel takes its own place again", () => {
  const own = terminal();
  const { draw } = screen(own, 80);
  draw([], ["one", "two"]);
  expect(own.last()).toBe("\r" + "one\x1b[K\ntwo\x1b[K\n\x1b[J");
  draw(["news"], ["one", "three"]);
  expect(own.last()).toBe("\x1b[2A\r" + "news\x1b[K\none\x1b[K\nthree\x1b[K\n\x1b[J");
});

test("a terminal that became too small says what is needed, and shows all again when it grows", () => {
  const own = terminal();
  const { draw } = screen(own, 80);
  draw([], ["one", "two"]);
  own.columns = 60;
  draw(["news"], ["one", "two"]);
  expect(own.last()).toStartWith("\x1b[2J\x1b[H");
  expect(own.last()).toContain("The demo needs 80 columns and 3 rows.");
  own.columns = 80;
  draw([], ["one", "two"]);
  expect(own.last()).toContain("news\x1b[K\none");
});

test("the cursor is given back once", () => {
  const own = terminal();
  const { draw, close } = screen(own, 80);
  expect(own.last()).toBe("\x1b[?25l");
  draw([], ["one"]);
  close();
  expect(own.last()).toBe("\x1b[1A\r\x1b[J\x1b[?25h");
  close();
  expect(own.written.length).toBe(3);
});
