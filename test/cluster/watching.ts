/**
 * Asks before something happens, again and again while it does, and once after it.
 *
 * @returns Every different answer, in the order in which it came first.
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
  answers.add(await ask());
  return [...answers];
}
