export { type Digest, isDigest, parseDigest, digestOf, digestOfHex, hexOf } from './digest.ts';
