/**
 * Example 1: encode, encrypt, compute, decrypt.
 *
 * CKKS encrypts a vector of approximate real numbers. Each place of the vector is a slot. An addition or a product of
 * two ciphertexts acts on all slots at once; a rotation moves the slots.
 */
import { Parameters, type Ciphertext } from '@blindfit/he';
import { SealBackend, SealEvaluator } from '@blindfit/he/seal';
import { SecretKeyHolder } from '@blindfit/owner';

// The ring degree N fixes the number of slots, N / 2. A fresh ciphertext has one prime per level and one more: here it
// is at level 1, which is enough for one product. Parameters below 128-bit security are refused.
const parameters = Parameters.of({ ring: 8192, dataBits: [60, 40], specialBits: 60, scaleBits: 40 });
console.log(`ring ${parameters.ring}, ${parameters.slots} slots, log2 QP = ${parameters.logQP}`);

// The secret key stays with its owner. Whoever computes gets two public keys: one to bring a product of two ciphertexts
// back to its usual size (relinearisation), and one for each distance of a rotation.
using backend = await SealBackend.open(parameters);
using owner = SecretKeyHolder.generate(backend);
const evaluator = new SealEvaluator(backend, {
  relinearisation: backend.loadRelinearisationKey(owner.relinearisationKey()),
  galois: new Map([[1, backend.loadGaloisKey(owner.galoisKey(1), 1)]]),
});

// A number x is stored as round(x * scale). The scale decides the precision.
const values = Float64Array.from({ length: parameters.slots }, (_, slot) => (slot % 4) + 1);
const bytes = owner.encryptToBytes(values, parameters.maxLevel, parameters.scale);
using x = backend.loadCiphertext(bytes);
show('x', x);

// A rotation by 1 brings slot 1 to slot 0.
using rotated = evaluator.rotate(x, 1);
show('x rotated by 1', rotated);

// A product has the product of the scales and one part too many. Relinearisation removes the part; a rescale divides
// by the last prime, which brings the scale back and takes a level.
using product = evaluator.multiply(x, rotated);
evaluator.relineariseInPlace(product);
evaluator.rescaleInPlace(product);
show('x * (x rotated by 1)', product);

/** Only the owner can look at a result. */
function show(name: string, ciphertext: Ciphertext): void {
  const slots = owner.decrypt(ciphertext).first.subarray(0, 4);
  console.log(`${name}: ${Array.from(slots, (value) => value.toFixed(3)).join(' ')} ... (level ${ciphertext.level})`);
}
