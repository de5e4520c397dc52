// The part of the WebAssembly interface used here; TypeScript ships it only with the types of browsers.
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: string;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
  }
  interface Instance {
    readonly exports: Readonly<Record<string, unknown>>;
  }
  type Imports = Record<string, Record<string, unknown>>;
  const Memory: { readonly prototype: Memory; new (descriptor: { readonly initial: number }): Memory };
  function compile(bytes: Uint8Array | ArrayBuffer): Promise<Module>;
  function instantiate(module: Module, imports: Imports): Promise<Instance>;
}
