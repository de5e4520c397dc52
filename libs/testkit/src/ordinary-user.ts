/** Any user without rights; Linux calls it nobody. */
const NOBODY = 65534;

/**
 * Runs something as a user whom permissions bind: root becomes nobody meanwhile, others stay who they are. It holds for
 * the whole process, so nothing else may go on beside it.
 */
export async function asOrdinaryUser<T>(body: () => Promise<T>): Promise<T> {
  const { seteuid, setegid } = process;
  if (process.getuid?.() !== 0 || seteuid === undefined || setegid === undefined) return body();
  setegid(NOBODY);
  seteuid(NOBODY);
  try {
    return await body();
  } finally {
    seteuid(0);
    setegid(0);
  }
}
