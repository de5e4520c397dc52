/** A collector: takes spans over OTLP/HTTP as protobuf, decodes and keeps them. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the span has no parent. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Milliseconds since the epoch. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Trace and span ids. */
  readonly links: readonly string[];
  /** The message of its status, when that is an error. */
  readonly error: string | undefined;
}

export interface Receiver {
  readonly url: string;
  readonly spans: ReceivedSpan[];
  /** Headers of every request. */
  readonly headers: NodeJS.Dict<string | string[]>[];
  /** Everything received, as it came. */
  readonly bodies: Buffer[];
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const spans: ReceivedSpan[] = [];
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const bodies: Buffer[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      bodies.push(body);
      headers.push(request.headers);
      if (
        request.method !== 'POST' ||
        request.url !== '/v1/traces' ||
        request.headers['content-type'] !== 'application/x-protobuf'
      ) {
        response.writeHead(400).end();
        return;
      }
      spans.push(...decode(body));
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    headers,
    bodies,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Field = bigint | Buffer;

/** The fields of a message of protobuf, by number. */
function fields(bytes: Buffer): Map<number, Field[]> {
  const found = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    let value: Field;
    switch (tag & 7) {
      case 0:
        value = varint();
        break;
      case 1:
        value = bytes.readBigUInt64LE(at);
        at += 8;
        break;
      case 2: {
        const length = Number(varint());
        value = bytes.subarray(at, at + length);
        at += length;
        break;
      }
      case 5:
        value = BigInt(bytes.readUInt32LE(at));
        at += 4;
        break;
      default:
        throw new Error(`no protobuf: wire type ${tag & 7}`);
    }
    found.set(tag >> 3, [...(found.get(tag >> 3) ?? []), value]);
  }
  return found;
}

const messages = (from: Map<number, Field[]>, number: number): Map<number, Field[]>[] =>
  (from.get(number) ?? []).map((value) => fields(value as Buffer));
const bytesOf = (from: Map<number, Field[]>, number: number): Buffer =>
  (from.get(number)?.[0] as Buffer | undefined) ?? Buffer.alloc(0);
const text = (from: Map<number, Field[]>, number: number): string => bytesOf(from, number).toString('utf8');
const integer = (from: Map<number, Field[]>, number: number): bigint =>
  (from.get(number)?.[0] as bigint | undefined) ?? 0n;

function attributesOf(from: Map<number, Field[]>, number: number): Record<string, string | number | boolean> {
  return Object.fromEntries(
    messages(from, number).map((pair): [string, string | number | boolean] => {
      const [value = new Map<number, Field[]>()] = messages(pair, 2);
      if (value.has(1)) return [text(pair, 1), text(value, 1)];
      if (value.has(2)) return [text(pair, 1), integer(value, 2) === 1n];
      if (value.has(3)) return [text(pair, 1), Number(BigInt.asIntN(64, integer(value, 3)))];
      const double = new DataView(new ArrayBuffer(8));
      double.setBigUint64(0, integer(value, 4));
      return [text(pair, 1), double.getFloat64(0)];
    }),
  );
}

/** The numbers are those of opentelemetry/proto/trace/v1/trace.proto. */
function decode(body: Buffer): ReceivedSpan[] {
  return messages(fields(body), 1).flatMap((resourceSpans) => {
    const [resource = new Map<number, Field[]>()] = messages(resourceSpans, 1);
    const service = String(attributesOf(resource, 1)['service.name']);
    return messages(resourceSpans, 2).flatMap((scopeSpans) =>
      messages(scopeSpans, 2).map((span): ReceivedSpan => {
        const [status = new Map<number, Field[]>()] = messages(span, 15);
        return {
          service,
          traceId: bytesOf(span, 1).toString('hex'),
          spanId: bytesOf(span, 2).toString('hex'),
          parentId: bytesOf(span, 4).toString('hex'),
          name: text(span, 5),
          kind:
            (['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const)[Number(integer(span, 6))] ??
            'internal',
          start: Number(integer(span, 7)) / 1e6,
          end: Number(integer(span, 8)) / 1e6,
          attributes: attributesOf(span, 9),
          links: messages(span, 13).map(
            (link) => `${bytesOf(link, 1).toString('hex')}-${bytesOf(link, 2).toString('hex')}`,
          ),
          error: integer(status, 3) === 2n ? text(status, 2) : undefined,
        };
      }),
    );
  });
}
