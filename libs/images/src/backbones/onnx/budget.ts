/** Limits on the work that an untrusted ONNX file may cause, checked before any object is made of it. */
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { FeatureError } from '../../feature-error.ts';
import { GraphProtoSchema } from './onnx_pb.ts';

/** Most fields and packed values in a file, by default: each becomes an object, many times larger than its bytes. */
export const MAX_FIELDS = 8_000_000;
/** Most graphs inside attributes of nodes (If, Loop) inside graphs. Real models stay below 5. */
const MAX_GRAPHS = 32;
/** Most messages inside messages: three for each nested graph, and a few around and inside them. */
export const MAX_MESSAGES = 3 * MAX_GRAPHS + 8;

/**
 * Walks through an encoded message without decoding it.
 * @throws FeatureError `bad-model` if the bytes are no message of this schema, hold more than `maxFields` fields and
 * packed values, nest graphs too deep, or give a message that must occur once twice (protobuf would merge the two)
 */
export function checkBudget(schema: DescMessage, bytes: Uint8Array, maxFields: number): void {
  new BudgetCheck(bytes, maxFields).message(schema, bytes.length, 0);
}

class BudgetCheck {
  readonly #bytes: Uint8Array;
  readonly #reader: BinaryReader;
  readonly #maxFields: number;
  #fields = 0;

  constructor(bytes: Uint8Array, maxFields: number) {
    this.#bytes = bytes;
    this.#reader = new BinaryReader(bytes);
    this.#maxFields = maxFields;
  }

  message(schema: DescMessage, end: number, graphs: number): void {
    if (graphs > MAX_GRAPHS + 1)
      throw new FeatureError('bad-model', `the model nests graphs more than ${MAX_GRAPHS} deep; no such model is read`);
    const reader = this.#reader;
    const fields = fieldsOf(schema);
    let singular = 0;
    while (reader.pos < end) {
      this.#spend(1);
      const start = reader.pos;
      const fail = (problem: string): FeatureError =>
        new FeatureError('bad-model', `${schema.name}, byte ${start}: ${problem}${DAMAGED}`);
      const [number, wire] = reader.tag();
      const field = fields.get(number);
      const packed = field?.fieldKind === 'list' && wire === WireType.LengthDelimited;
      if (wire === WireType.StartGroup || wire === WireType.EndGroup)
        throw fail(`field ${number} has the wire type ${wire}; 0, 1, 2 and 5 are allowed`);
      if (field !== undefined && wire !== wireOf(field) && !packed)
        throw fail(`field ${number} has the wire type ${wire} where ${wireOf(field)} belongs`);
      if (wire !== WireType.LengthDelimited) {
        reader.skip(wire, number);
        if (reader.pos > end) throw fail(`field ${number} runs past the end`);
        continue;
      }
      const length = reader.uint32();
      const stop = reader.pos + length;
      if (stop > end) throw fail(`field ${number} claims ${length} bytes and ${end - reader.pos} follow`);
      if (field?.message !== undefined) {
        if (field.fieldKind === 'message' && (singular & (1 << number)) !== 0)
          throw fail(`it holds two values of ${field.name}; there must be one`);
        singular |= 1 << number;
        this.message(field.message, stop, field.message === GraphProtoSchema ? graphs + 1 : graphs);
      } else if (packed && wireOf(field) !== wire) this.#packedValues(field, reader.pos, stop, fail);
      reader.pos = stop;
    }
  }

  #packedValues(field: DescField, start: number, stop: number, fail: (problem: string) => FeatureError): void {
    const floats = wireOf(field) === WireType.Bit32;
    let count = (stop - start) / 4;
    if (!floats) {
      count = 0;
      for (let at = start; at < stop; at++) if (isLastOfVarint(this.#bytes[at])) count++;
    }
    const whole = floats ? Number.isInteger(count) : stop === start || isLastOfVarint(this.#bytes[stop - 1]);
    if (!whole) throw fail(`the packed values of field ${field.number} are cut off`);
    this.#spend(count);
  }

  #spend(count: number): void {
    this.#fields += count;
    if (this.#fields > this.#maxFields)
      throw new FeatureError('bad-model', `the model holds more than ${this.#maxFields} fields; no such model is read`);
  }
}

export const DAMAGED = '; the file is damaged or not an ONNX model';

const fieldMaps = new Map<DescMessage, ReadonlyMap<number, DescField>>();

function fieldsOf(schema: DescMessage): ReadonlyMap<number, DescField> {
  let fields = fieldMaps.get(schema);
  if (fields === undefined)
    fieldMaps.set(schema, (fields = new Map(schema.fields.map((field) => [field.number, field]))));
  return fields;
}

/** The wire type of one value of a field. */
function wireOf({ message, scalar }: DescField): WireType {
  if (message !== undefined || scalar === ScalarType.STRING || scalar === ScalarType.BYTES)
    return WireType.LengthDelimited;
  return scalar === ScalarType.FLOAT ? WireType.Bit32 : WireType.Varint;
}

function isLastOfVarint(byte: number | undefined): boolean {
  return byte !== undefined && byte < 0x80;
}
