/**
 * Asks before something happens and again and again while it does; gives every different answer.
 *
 * @param happens Ends the asking when it is done.
 */
export async function answersWhile<Answer>(
  ask: () => Promise<Answer>,
  happens: () => Promise<void>,
): Promise<readonly Answer[]> {
  const answers = new Set([await ask()]);
  let over = false;
  const asking = (async () => {
    while (!over) {
      answers.add(await ask());
      await Bun.sleep(5);
    }
  })();
  try {
    await happens();
  } finally {
    over = true;
    await asking;
  }
  return [...answers];
}
