import { floatTensor, int64Tensor, model, node, valueInfo } from './onnx/build.ts';
import { encodeModel } from './onnx/model-file.ts';
import type { NodeProto, TensorProto } from './onnx/onnx_pb.ts';

/** Side of the images, in pixels. */
const SIZE = 28;
/** Side of the torus the convolutions work on: the image, and 2 reflected pixels on every side. */
const GRID = 32;
/** Number of scales J: the low-pass averages over 2^J pixels, and one value per 2^J pixels is kept. */
const SCALES = 3;
/** Number of orientations L. */
const ORIENTATIONS = 8;
/** Side of the grid of averages. */
const CELLS = GRID / 2 ** SCALES;

/** Features of an image: (1 + J L) channels of 4 x 4 averages. */
export const SCATTERING_FEATURES = (1 + SCALES * ORIENTATIONS) * CELLS * CELLS;

// The wavelets of Kymatio: envelope, frequency and eccentricity at scale 0. They halve and double with each scale.
const SIGMA = 0.8;
const XI = (3 * Math.PI) / 4;
const SLANT = 4 / ORIENTATIONS;

/** Taps outside a kernel may hold this part of a filter's L1 norm: below what 32-bit floats can tell. */
const NEGLIGIBLE = 1e-8;

/**
 * The built-in backbone: first-order wavelet scattering (Bruna and Mallat, "Invariant scattering convolution networks",
 * 2013) as an ONNX model. No weights are learnt, none are downloaded: every filter has a closed form.
 *
 * With x the image reflected to 32 x 32 and * the circular convolution,
 *
 *     S0 = x * phi,    S1[j, l] = |x * psi[j, l]| * phi,    j < 3, l < 8,    kept at every 8th pixel
 *
 * psi[j, l] is a Morlet wavelet of width 0.8 * 2^j, frequency 3 pi / 4 / 2^j, angle (3 - l) pi / 8 and slant 1/2, and
 * phi a Gaussian of width 3.2. Nothing is subsampled before phi.
 *
 * Input `image` N x 1 x 28 x 28 in [0, 1]; output `features` N x 400, channel by channel (S0, S1[0, 0], S1[0, 1], ...),
 * each 4 x 4 row by row. The first axis of an image points down, as in Kymatio: a wavelet of angle 0 answers to changes
 * from row to row.
 * @returns the file's bytes, the same each time
 */
export function buildScattering(): Uint8Array {
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const wavelets = Array.from({ length: SCALES }, (_, j) => convolution(j, nodes, initializers));
  const lowPass = gaussianMatrix();
  initializers.push(
    int64Tensor(
      'torus_index',
      [GRID],
      Array.from({ length: GRID }, (_, at) => sourcePixel(at)),
    ),
    int64Tensor('flat_shape', [3], [0, 1, GRID * GRID]),
    floatTensor('phi', [GRID * GRID, CELLS * CELLS], lowPass),
  );
  nodes.push(
    node('Concat', wavelets, 'wavelets', { axis: 2 }),
    node('ReduceL2', ['wavelets'], 'moduli', { axes: [1], keepdims: 0 }),
    node('Gather', ['image', 'torus_index'], 'torus_rows', { axis: 2 }),
    node('Gather', ['torus_rows', 'torus_index'], 'torus', { axis: 3 }),
    node('Reshape', ['torus', 'flat_shape'], 'pixels'),
    node('Concat', ['pixels', 'moduli'], 'channels', { axis: 1 }),
    node('MatMul', ['channels', 'phi'], 'averages'),
    node('Flatten', ['averages'], 'features', { axis: 1 }),
  );
  return encodeModel(
    model({
      name: 'scattering',
      node: nodes,
      initializer: initializers,
      input: [valueInfo('image', ['N', 1, SIZE, SIZE])],
      output: [valueInfo('features', ['N', SCATTERING_FEATURES])],
    }),
  );
}

/** Adds x * psi[j, l] for all l; the name of the result, N x 2 (real, imaginary) x L x 1024. */
function convolution(j: number, nodes: NodeProto[], initializers: TensorProto[]): string {
  const filters = Array.from({ length: ORIENTATIONS }, (_, l) => morlet(j, l));
  const { first, last } = support(filters);
  const side = last - first + 1;
  const kernels = new Float64Array(2 * ORIENTATIONS * side * side);
  let at = 0;
  for (const part of ['re', 'im'] as const) {
    for (const filter of filters) {
      // Conv correlates: the kernel is the filter read backwards.
      for (let row = last; row >= first; row--) {
        for (let column = last; column >= first; column--) kernels[at++] = filter[part][index(row, column)]!;
      }
    }
  }
  // Wrapping round the torus and reflecting at the image's edge is one choice of pixels; ONNX's Pad cannot wrap before
  // opset 19.
  const wrapped = Array.from({ length: GRID + side - 1 }, (_, k) => sourcePixel(k - last));
  initializers.push(
    int64Tensor(`wrap_${j}`, [wrapped.length], wrapped),
    floatTensor(`psi_${j}`, [2 * ORIENTATIONS, 1, side, side], kernels),
    int64Tensor(`psi_${j}_shape`, [4], [0, 2, ORIENTATIONS, GRID * GRID]),
  );
  nodes.push(
    node('Gather', ['image', `wrap_${j}`], `rows_${j}`, { axis: 2 }),
    node('Gather', [`rows_${j}`, `wrap_${j}`], `wrapped_${j}`, { axis: 3 }),
    node('Conv', [`wrapped_${j}`, `psi_${j}`], `convolved_${j}`, { kernel_shape: [side, side] }),
    node('Reshape', [`convolved_${j}`, `psi_${j}_shape`], `wavelets_${j}`),
  );
  return `wavelets_${j}`;
}

interface ComplexGrid {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** The Morlet wavelet: a Gabor function less its mean, which is taken out as a multiple of its envelope. */
function morlet(j: number, l: number): ComplexGrid {
  const sigma = SIGMA * 2 ** j;
  const theta = ((ORIENTATIONS / 2 - 1 - l) * Math.PI) / ORIENTATIONS;
  const wave = gabor(sigma, theta, XI / 2 ** j, SLANT);
  const envelope = gabor(sigma, theta, 0, SLANT);
  // The imaginary part is odd, so its sum is 0 and the factor is real.
  const factor = sum(wave.re) / sum(envelope.re);
  return { re: wave.re.map((value, at) => value - factor * envelope.re[at]!), im: wave.im };
}

/** A plane wave of frequency xi under a Gaussian, around pixel (0, 0) of the torus. */
function gabor(sigma: number, theta: number, xi: number, slant: number): ComplexGrid {
  const re = new Float64Array(GRID * GRID);
  const im = new Float64Array(GRID * GRID);
  const [cos, sin] = [Math.cos(theta), Math.sin(theta)];
  const norm = (2 * Math.PI * sigma * sigma) / slant;
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      // The sum over all turns round the torus; beyond two the Gaussian is 0.
      for (let turnRow = -2; turnRow <= 2; turnRow++) {
        for (let turnColumn = -2; turnColumn <= 2; turnColumn++) {
          const x = row + turnRow * GRID;
          const y = column + turnColumn * GRID;
          const along = x * cos + y * sin;
          const across = slant * (y * cos - x * sin);
          const envelope = Math.exp(-(along * along + across * across) / (2 * sigma * sigma)) / norm;
          re[row * GRID + column] = re[row * GRID + column]! + envelope * Math.cos(xi * along);
          im[row * GRID + column] = im[row * GRID + column]! + envelope * Math.sin(xi * along);
        }
      }
    }
  }
  return { re, im };
}

/** The smallest square of taps that leaves out a negligible part of each filter: [-r, r], or all 32, [-16, 15]. */
function support(filters: readonly ComplexGrid[]): { first: number; last: number } {
  for (let r = 1; r < GRID / 2; r++) {
    const enough = filters.every(({ re, im }) => {
      let inside = 0;
      let all = 0;
      for (let row = -GRID / 2; row < GRID / 2; row++) {
        for (let column = -GRID / 2; column < GRID / 2; column++) {
          const weight = Math.hypot(re[index(row, column)]!, im[index(row, column)]!);
          all += weight;
          if (Math.max(Math.abs(row), Math.abs(column)) <= r) inside += weight;
        }
      }
      return all - inside <= NEGLIGIBLE * all;
    });
    if (enough) return { first: -r, last: r };
  }
  return { first: -GRID / 2, last: GRID / 2 - 1 };
}

/** The low-pass and its subsampling as one matrix, 1024 pixels x 16 cells. */
function gaussianMatrix(): Float64Array {
  const phi = gabor(SIGMA * 2 ** (SCALES - 1), 0, 0, 1).re;
  const matrix = new Float64Array(GRID * GRID * CELLS * CELLS);
  let at = 0;
  for (let row = 0; row < GRID; row++) {
    for (let column = 0; column < GRID; column++) {
      for (let cell = 0; cell < CELLS * CELLS; cell++) {
        const centreRow = Math.floor(cell / CELLS) * 2 ** SCALES;
        const centreColumn = (cell % CELLS) * 2 ** SCALES;
        matrix[at++] = phi[index(centreRow - row, centreColumn - column)]!;
      }
    }
  }
  return matrix;
}

/**
 * The pixel of the image shown at a coordinate of the torus: wrapped to [0, 32), then reflected (edge not repeated).
 */
function sourcePixel(coordinate: number): number {
  const pixel = wrap(coordinate) - (GRID - SIZE) / 2;
  if (pixel < 0) return -pixel;
  return pixel < SIZE ? pixel : 2 * (SIZE - 1) - pixel;
}

function index(row: number, column: number): number {
  return wrap(row) * GRID + wrap(column);
}

function wrap(coordinate: number): number {
  return ((coordinate % GRID) + GRID) % GRID;
}

function sum(values: Float64Array): number {
  return values.reduce((total, value) => total + value, 0);
}
