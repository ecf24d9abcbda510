// Reads what changes while it is read.

/**
 * Reads one time after the other and never two at once, so that no answer comes after a newer one; once more at the end where
 * it was asked for meanwhile, however often.
 */
export function onceMore(read: () => Promise<void>): () => Promise<void> {
  let isReading = false;
  let isAskedAgain = false;
  return async () => {
    isAskedAgain = true;
    if (isReading) return;
    isReading = true;
    while (isAskedAgain) {
      isAskedAgain = false;
      await read();
    }
    isReading = false;
  };
}
