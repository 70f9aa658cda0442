import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { BinaryReader, BinaryWriter } from "google-protobuf";

/**
 * `google.protobuf.Struct` between bytes and plain values. The generated class copies all that is inside a value once
 * for every level around it, which takes seconds for the subscribers of a town; this walks the bytes once.
 */

/** A JSON value: what a Struct can hold. */
export type Plain = null | number | string | boolean | readonly Plain[] | { readonly [key: string]: Plain };

/** Numbers of the fields of `google/protobuf/struct.proto`. */
const FIELDS = 1; // of Struct: its entries
const ENTRY = { key: 1, value: 2 } as const;
const VALUE = { null: 1, number: 2, string: 3, bool: 4, struct: 5, list: 6 } as const;
const VALUES = 1; // of ListValue

/** What a reader fills in: the generated readers take a message, and any object will do. */
interface Slot {
  value: Plain;
}

/** Reads a whole `google.protobuf.Struct`. */
export function readStruct(bytes: Uint8Array): Readonly<Record<string, Plain>> {
  return structFrom(new BinaryReader(bytes));
}

function structFrom(reader: BinaryReader): Readonly<Record<string, Plain>> {
  const entries: [string, Plain][] = [];
  while (reader.nextField()) {
    if (reader.getFieldNumber() !== FIELDS) reader.skipField();
    else within(reader, () => entries.push(entryFrom(reader)));
  }
  // The engine sends keys in another order each time: what is written down from them must not change with it.
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  // Not by assignment: a key may be `__proto__`.
  return Object.fromEntries(entries);
}

function entryFrom(reader: BinaryReader): [string, Plain] {
  let key = "";
  let value: Plain = null;
  while (reader.nextField()) {
    switch (reader.getFieldNumber()) {
      case ENTRY.key:
        key = reader.readString();
        break;
      case ENTRY.value:
        value = valueWithin(reader);
        break;
      default:
        reader.skipField();
    }
  }
  return [key, value];
}

function valueWithin(reader: BinaryReader): Plain {
  const slot: Slot = { value: null };
  within(reader, () => (slot.value = valueFrom(reader)));
  return slot.value;
}

function valueFrom(reader: BinaryReader): Plain {
  let value: Plain = null;
  while (reader.nextField()) {
    switch (reader.getFieldNumber()) {
      case VALUE.number:
        value = reader.readDouble();
        break;
      case VALUE.string:
        value = reader.readString();
        break;
      case VALUE.bool:
        value = reader.readBool();
        break;
      case VALUE.struct:
        within(reader, () => (value = structFrom(reader)));
        break;
      case VALUE.list:
        within(reader, () => (value = listFrom(reader)));
        break;
      default:
        // Null, and what a later version may add.
        reader.skipField();
        value = null;
    }
  }
  return value;
}

function listFrom(reader: BinaryReader): Plain[] {
  const list: Plain[] = [];
  while (reader.nextField()) {
    if (reader.getFieldNumber() === VALUES) list.push(valueWithin(reader));
    else reader.skipField();
  }
  return list;
}

/** Reads the message that the reader stands at; fields end where it ends. */
function within(reader: BinaryReader, read: () => unknown): void {
  reader.readMessage(NOTHING, read);
}

const NOTHING = {};

/** Writes a whole `google.protobuf.Struct`. */
export function writeStruct(values: Readonly<Record<string, Plain>>): Uint8Array {
  const writer = new BinaryWriter();
  writeFields(writer, values);
  return writer.getResultBuffer();
}

function writeFields(writer: BinaryWriter, values: Readonly<Record<string, Plain>>): void {
  for (const [key, value] of Object.entries(values)) {
    writer.writeMessage(FIELDS, NOTHING, () => {
      writer.writeString(ENTRY.key, key);
      writer.writeMessage(ENTRY.value, NOTHING, () => writeValue(writer, value));
    });
  }
}

function writeValue(writer: BinaryWriter, value: Plain): void {
  if (value === null) writer.writeEnum(VALUE.null, 0);
  else if (typeof value === "number") writer.writeDouble(VALUE.number, value);
  else if (typeof value === "string") writer.writeString(VALUE.string, value);
  else if (typeof value === "boolean") writer.writeBool(VALUE.bool, value);
  else if (isList(value)) {
    writer.writeMessage(VALUE.list, NOTHING, () => {
      for (const item of value) writer.writeMessage(VALUES, NOTHING, () => writeValue(writer, item));
    });
  } else writer.writeMessage(VALUE.struct, NOTHING, () => writeFields(writer, value));
}

const isList = (value: Plain): value is readonly Plain[] => Array.isArray(value);

/** A message whose Structs were left as bytes, by the numbers of their fields. */
export interface Carried<Message> {
  readonly message: Message;
  readonly structs: ReadonlyMap<number, Uint8Array>;
}

/** For each method, in which fields of its request and of its response there are Structs. */
export type StructFields = Readonly<
  Record<string, { readonly request: readonly number[]; readonly response: readonly number[] }>
>;

/** A service whose methods of these names take and give {@link Carried} messages. */
export function carryingStructs(service: ServiceDefinition, fields: StructFields): ServiceDefinition {
  const carrying = Object.entries(fields).map(([name, { request }]) => {
    const method = service[name] as MethodDefinition<unknown, unknown>;
    return [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer) => takeApart(bytes, request, method.requestDeserialize),
        responseSerialize: (response: Carried<unknown>) => putTogether(response, method.responseSerialize),
      },
    ];
  });
  return { ...service, ...(Object.fromEntries(carrying) as ServiceDefinition) };
}

/** Cuts the Structs out of a message's bytes and reads the rest as always. */
function takeApart<Message>(
  bytes: Buffer,
  fields: readonly number[],
  read: (bytes: Buffer) => Message,
): Carried<Message> {
  const reader = new BinaryReader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  const structs = new Map<number, Uint8Array>();
  const rest: Uint8Array[] = [];
  while (reader.nextField()) {
    const start = reader.getFieldCursor();
    const number = reader.getFieldNumber();
    if (fields.includes(number)) structs.set(number, reader.readBytes());
    else {
      reader.skipField();
      rest.push(bytes.subarray(start, reader.getCursor()));
    }
  }
  return { message: read(Buffer.concat(rest)), structs };
}

/** The order of fields does not matter. */
function putTogether<Message>(
  { message, structs }: Carried<Message>,
  write: (message: Message) => Buffer,
): Buffer {
  const writer = new BinaryWriter();
  for (const [field, bytes] of structs) writer.writeBytes(field, bytes);
  return Buffer.concat([write(message), writer.getResultBuffer()]);
}
