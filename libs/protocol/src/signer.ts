import { Type } from 'typebox';
import { SIGNATURE_PATTERN, SIGNER_PATTERN } from '@blindfit/base/signature';

export const SignerSchema = Type.String({
  pattern: SIGNER_PATTERN,
  description: 'public half of the owner’s Ed25519 key: answers and cancellations are signed with the other half',
});

export const SignatureSchema = Type.String({
  pattern: SIGNATURE_PATTERN,
  description: 'Ed25519 signature, 128 lower-case hex digits',
});
