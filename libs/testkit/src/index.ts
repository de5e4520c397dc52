export { TEST_CERTIFICATES, type CertificateFiles } from './certificates.ts';
export { CapturedLines, CapturedText } from './captured.ts';
export { filesUnder, temporaryDirectory, type TemporaryDirectory } from './directories.ts';
export { freePort } from './free-port.ts';
export { asOrdinaryUser } from './ordinary-user.ts';
export { processesOf, runs, withoutSettings } from './processes.ts';
export { randomIntegers, randomReals, randomVector, signedReals } from './random.ts';
export { firstGroups } from './text.ts';
export { until, type UntilOptions } from './until.ts';
