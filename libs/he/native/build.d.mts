/** One source file of the addon and the compiler flags it needs besides the common ones. */
export interface TranslationUnit {
  readonly name: string;
  readonly path: string;
  readonly flags: readonly string[];
}

export function translationUnits(arch?: string): TranslationUnit[];

/** The addon for this machine, built if it is not there yet; or why there is none. */
export function buildNative(options?: {
  readonly log?: ((line: string) => void) | undefined;
  readonly lock?: ((path: string) => Promise<Disposable>) | undefined;
}): Promise<{ readonly path: string } | { readonly reason: string }>;
