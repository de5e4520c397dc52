/** How much a thread caches by default. The forecast models the same caches. */

/**
 * Bytes of parsed inputs in the memory of a thread. The native evaluator maps inputs from files while the files fit.
 */
export const CIPHERTEXT_BYTES = { seal: 192 * 2 ** 20, native: 40 * 2 ** 20 };
/** Bytes of the files of inputs that the native evaluator maps, for all threads of a host. */
export const INPUT_DISK_BYTES = 4 * 2 ** 30;
