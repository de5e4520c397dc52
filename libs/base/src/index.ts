export { at, required, valueOf } from './at.ts';
export { backoffMs } from './backoff.ts';
export { builtinModule } from './builtin.ts';
export { defined } from './defined.ts';
export {
  digestOf,
  digestOfHex,
  hexOf,
  InvalidDigestError,
  isDigest,
  parseDigest,
  sha256Hex,
  type Digest,
} from './digest.ts';
export { BlindfitError, errnoOf, messageOf, messageWithHint, type BlindfitErrorOptions, type Fault } from './errors.ts';
export { faultOf, isRedisAway, outageIn, redisOutageOf, type RedisOutage } from './fault.ts';
export { moduleUrl } from './module-url.ts';
export { seededUint32 } from './random.ts';
