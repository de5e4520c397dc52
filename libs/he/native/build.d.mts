export declare function buildNative(options?: { readonly quiet?: boolean }): Promise<{ readonly path: string } | { readonly reason: string }>;
