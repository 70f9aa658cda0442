import * as proto from "@pulumi/pulumi/proto/provider_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import type { MethodDefinition } from "@grpc/grpc-js";
import fc from "fast-check";
import { STRUCTS } from "../../../lib/provider/service";
import {
  carryingStructs,
  readStruct,
  writeStruct,
  type Carried,
  type Plain,
} from "../../../lib/provider/wire";

const values = fc.dictionary(
  fc.string(),
  fc.jsonValue({ maxDepth: 4 }).filter((value) => !JSON.stringify(value).includes("-0")),
  { maxKeys: 6 },
) as fc.Arbitrary<Record<string, Plain>>;

/** The generated class assigns what it reads, so it loses a key `__proto__`. */
const hasProto = (value: unknown) => JSON.stringify(value).includes("__proto__");

describe("a Struct between bytes and plain values", () => {
  test("is what the generated class makes of it, both ways", () => {
    fc.assert(
      fc.property(values, (given) => {
        fc.pre(!hasProto(given));
        const message = Struct.fromJavaScript(given);
        expect(readStruct(message.serializeBinary())).toEqual(given);
        expect(Struct.deserializeBinary(writeStruct(given)).toJavaScript()).toEqual(given);
      }),
    );
  });

  test("keeps every key that JSON may have", () => {
    const given = JSON.parse('{"": false, "__proto__": {"constructor": [null]}}') as Record<string, Plain>;
    expect(JSON.stringify(readStruct(writeStruct(given)))).toBe(JSON.stringify(given));
  });

  test("comes in the same order whatever order it was sent in", () => {
    const one = readStruct(writeStruct({ b: { d: 1, c: 2 }, a: [{ y: 1, x: 2 }] }));
    const other = readStruct(writeStruct({ a: [{ x: 2, y: 1 }], b: { c: 2, d: 1 } }));
    expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  });

  test("skips what a later version may add", () => {
    const bytes = Buffer.concat([writeStruct({ a: 1 }), Buffer.from([0x78, 0x05]), writeStruct({ b: "x" })]);
    expect(readStruct(bytes)).toEqual({ a: 1, b: "x" });
  });
});

describe("the provider's messages", () => {
  const service = carryingStructs(ResourceProviderService, STRUCTS);
  type Generated = Record<string, (value?: unknown) => unknown> & { serializeBinary(): Uint8Array };
  const requests = {
    check: proto.CheckRequest,
    diff: proto.DiffRequest,
    create: proto.CreateRequest,
    update: proto.UpdateRequest,
    read: proto.ReadRequest,
    delete: proto.DeleteRequest,
  } as unknown as Record<string, new () => Generated>;
  const responses = {
    check: proto.CheckResponse,
    create: proto.CreateResponse,
    update: proto.UpdateResponse,
    read: proto.ReadResponse,
  } as unknown as Record<string, { deserializeBinary(bytes: Uint8Array): Generated } & (new () => Generated)>;

  /** Every property of a message that is a Struct, by the name of its setter. */
  const structSetters = (Message: new () => Generated) => {
    const names = Object.getOwnPropertyNames(Message.prototype).filter((name) => /^set[A-Z]/.test(name));
    return names.filter((name) => {
      const message = new Message();
      try {
        message[name]!(Struct.fromJavaScript({ probe: "it" }));
        return (
          message[name.replace(/^set/, "get")]!() instanceof Struct && message.serializeBinary().length > 8
        );
      } catch {
        return false;
      }
    });
  };

  test.each(Object.keys(requests))(
    "have every Struct of a %s request cut out, and all else in place",
    (name) => {
      const Message = requests[name]!;
      const message = new Message();
      const setters = structSetters(Message);
      expect(setters).toHaveLength(STRUCTS[name]!.request.length);
      setters.forEach((setter, index) => message[setter]!(Struct.fromJavaScript({ [setter]: index })));
      message.setUrn!("urn:pulumi:dev::lab::netloom:net:Link::a");
      const method = service[name] as MethodDefinition<unknown, unknown>;
      const taken = method.requestDeserialize(Buffer.from(message.serializeBinary())) as Carried<Generated>;
      expect(taken.message.getUrn!()).toBe("urn:pulumi:dev::lab::netloom:net:Link::a");
      expect([...taken.structs.keys()].sort()).toEqual([...STRUCTS[name]!.request].sort());
      const found = Object.assign({}, ...[...taken.structs.values()].map(readStruct)) as object;
      expect(found).toEqual(Object.fromEntries(setters.map((setter, index) => [setter, index])));
      for (const setter of setters) expect(taken.message[setter.replace(/^set/, "get")]!()).toBeUndefined();
    },
  );

  test.each(Object.keys(responses))("have every Struct of a %s response put back", (name) => {
    const Message = responses[name]!;
    const fields = STRUCTS[name]!.response;
    const structs = new Map(fields.map((field) => [field, writeStruct({ field })]));
    const method = service[name] as MethodDefinition<unknown, unknown>;
    const bytes = method.responseSerialize({ message: new Message(), structs });
    const read = Message.deserializeBinary(new Uint8Array(bytes));
    const there = structSetters(Message).map((setter) =>
      (read[setter.replace(/^set/, "get")]!() as Struct | undefined)?.toJavaScript(),
    );
    expect(there).toEqual(fields.map((field) => ({ field })));
  });
});
