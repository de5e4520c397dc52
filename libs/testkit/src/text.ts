/** The text of the first group of every match. @param pattern global, with a group that takes part in every match */
export function firstGroups(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([whole, group]) => {
    if (group === undefined) throw new Error(`${String(pattern)} has no group in ${whole}`);
    return group;
  });
}
