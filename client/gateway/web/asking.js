// What is asked for whenever it may have changed.

/**
 * A function that has `ask` called, one call at a time: what is wanted while one is on its way is one more behind it.
 * @param {() => Promise<void>} ask @param {AbortSignal} signal ends it
 */
export function asking(ask, signal) {
  let isWanted = false;
  let isBusy = false;
  return async () => {
    isWanted = true;
    if (isBusy) return;
    isBusy = true;
    while (isWanted && !signal.aborted) {
      isWanted = false;
      await ask();
    }
    isBusy = false;
  };
}
