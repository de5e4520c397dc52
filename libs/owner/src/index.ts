export { SecretKeyHolder } from './secret-key.ts';
