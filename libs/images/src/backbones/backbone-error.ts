/** A backbone was asked for something it cannot do, or given weights that are not its own. */
export class BackboneError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BackboneError';
  }
}
