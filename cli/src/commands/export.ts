import type { Command } from 'commander';
import { exportTrained } from '../export/export-model.ts';
import { addModelFlags, backboneFromFlags, type BackboneFlags } from '../features/flags.ts';
import { formatBytes } from '../format.ts';
import { backboneOf, readModel } from '../read-model.ts';
import { formatPairs } from '../table.ts';
import { checkOutput, writeOutput } from '../train/output.ts';

interface ExportFlags extends BackboneFlags {
  readonly model: string;
  readonly out: string;
  readonly json?: true;
}

const CAUTION = `caution: the model's weights were decrypted from CKKS ciphertexts. They carry a trace of the noise.
Anyone with the model and the job's ciphertexts, which the servers may have kept, can use that trace to look for the
secret key, and with it the training data (CPA-D attacks: Li and Micciancio, Eurocrypt 2021). Use the model on your own
machines. Before you publish it or give it to those servers, train it in the clear and publish those weights instead.
`;

export function register(program: Command): void {
  const command = program
    .command('export')
    .summary('write backbone and trained layer as one ONNX model')
    .description(
      'Writes one ONNX model from image to class: backbone, preprocessing of features and trained layer.\n' +
        'Checks that onnxruntime computes the same as "predict". The backbone must be the one of the training.',
    )
    .requiredOption('--model <file.json>', 'the trained model');
  addModelFlags(command)
    .option('--out <file.onnx>', 'the ONNX model', 'model.onnx')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Examples:
  blindfit export --model model.json --backbone scattering --out digits.onnx
  blindfit export --model model.json --backbone squeezenet.onnx --size 224

Input of the ONNX model: image, N x channels x size x size, 32-bit floats in [0, 1]. Outputs: scores, probabilities and
label_index, an index into the list of classes in the metadata "blindfit.classes".`,
    )
    .action(async (flags: ExportFlags) => {
      await checkOutput('--out', flags.out);
      const model = await readModel(flags.model);
      const trainedWith = backboneOf(model);
      const backbone = await backboneFromFlags({ ...flags, backbone: flags.backbone ?? trainedWith });
      const exported = await exportTrained(model, backbone, flags.output);
      await writeOutput('--out', flags.out, exported.bytes);
      const { bytes, size, channels, greyOnly, difference, checkedImages } = exported;
      const { classes } = model;
      const { out } = flags;
      if (flags.json === true) {
        const summary = { out, bytes: bytes.length, size, channels, greyOnly, classes, checkedImages, difference };
        process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
      } else {
        const grey = greyOnly ? '; make colour images grey first, and give the plane three times' : '';
        const pairs: [string, string][] = [
          ['model', `${out}, ${formatBytes(bytes.length)}`],
          ['input', `image: N x ${channels === 'grey' ? 1 : 3} x ${size} x ${size}, ${channels} in [0, 1]${grey}`],
          ['outputs', `scores, probabilities, label_index: ${classes.length} classes`],
          [
            'check',
            `onnxruntime agrees with "blindfit predict" on ${checkedImages} random images: ` +
              `scores within ${difference.toExponential(1)} of their range`,
          ],
        ];
        process.stdout.write(`${formatPairs(pairs)}\n`);
      }
      process.stderr.write(CAUTION);
    });
}
