/** Resolves after pending events were handled: between ciphertexts the event loop, or the page, stays responsive. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
