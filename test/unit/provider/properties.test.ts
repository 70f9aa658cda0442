import fc from "fast-check";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import {
  UNKNOWN,
  decode,
  encode,
  hasUnknown,
  unknownPaths,
  type Properties,
} from "../../../lib/provider/properties";

const SIGNATURE = "4dabf18193072939515e22adb298388d";
const SECRET = { [SIGNATURE]: "1b47061264138c4ac30d75fd1eb44270" };
const OUTPUT = { [SIGNATURE]: "d0e6a833031e9bbcd3f4e8bde6ca49a4" };
const UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const struct = (value: object) => Struct.fromJavaScript(value as never);
const plain = (properties: Properties) => encode(properties).toJavaScript();

/** Values as the engine may send them: marks of every sort at any depth. */
const wire = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.string(),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
  ),
  value: fc.oneof(
    { maxDepth: 3 },
    tie("leaf"),
    fc.constant(UNKNOWN_TEXT),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), tie("value"), { maxKeys: 3 }),
    tie("value").map((value) => ({ ...SECRET, value })),
    tie("value").map((value) => ({ ...OUTPUT, value, secret: true })),
  ),
}));
const object = fc.dictionary(fc.stringMatching(/^[a-z]{1,4}$/), wire.value, { maxKeys: 5 });

describe("properties on the wire", () => {
  test("what is encoded decodes to the same values and marks, whatever they are", () => {
    fc.assert(
      fc.property(object, (sent) => {
        const once = decode(encode(decode(struct(sent))));
        expect(decode(encode(once))).toEqual(once);
        expect(once.values).toEqual(decode(struct(sent)).values);
      }),
    );
  });

  test("no value that arrived inside a secret leaves outside of one", () => {
    fc.assert(
      fc.property(object, (sent) => {
        const found = decode(struct(sent));
        const hidden = JSON.stringify(withoutSecrets(plain(found)));
        for (const path of found.secrets) {
          const again = decode(encode(found)).secrets;
          expect(again.some((mark) => mark.every((segment, index) => segment === path[index]))).toBe(true);
        }
        expect(hidden).not.toContain(SECRET[SIGNATURE]);
      }),
    );
  });

  test("numbers, booleans, lists and objects keep their types", () => {
    const sent = { n: 1.5, i: 4_294_967_295, b: false, s: "", l: [1, "a", [true]], o: { k: { d: 0 } } };
    expect(plain(decode(struct(sent)))).toEqual(sent);
  });

  test("a null property is one that is not there", () => {
    expect(decode(struct({ gone: null, kept: [null, 1] })).values).toEqual({ kept: [null, 1] });
  });

  test("unknowns of every type and outputs without a value are unknown", () => {
    const { values } = decode(
      struct({
        text: UNKNOWN_TEXT,
        number: "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        object: { list: [OUTPUT, 1] },
        known: { ...OUTPUT, value: 7 },
      }),
    );
    expect(values).toEqual({ text: UNKNOWN, number: UNKNOWN, object: { list: [UNKNOWN, 1] }, known: 7 });
    expect(unknownPaths(values).map(String).sort()).toEqual(["number", "object,list,0", "text"]);
    expect([values.known, values.object].map(hasUnknown)).toEqual([false, true]);
  });

  test("a reference to a resource is its id", () => {
    const reference = (id: string) => ({ [SIGNATURE]: "5cf8f73096256a8f31e491e813e4eb8e", urn: "urn:x", id });
    expect(
      decode(struct({ a: reference("edge/a"), b: reference(""), c: reference(UNKNOWN_TEXT) })).values,
    ).toEqual({
      a: "edge/a",
      b: "urn:x",
      c: UNKNOWN,
    });
  });

  test("a secret inside a list makes the list the secret, for its order may change", () => {
    const found = decode(struct({ keys: [{ name: "a", value: { ...SECRET, value: 5 } }], plain: 1 }));
    expect(plain(found)).toEqual({ keys: { ...SECRET, value: [{ name: "a", value: 5 }] }, plain: 1 });
  });

  test("a secret whose place has gone makes the property around it the secret", () => {
    const { secrets } = decode(struct({ tunnel: { key: { ...SECRET, value: 5 } } }));
    expect(plain({ values: { tunnel: { ikey: 5, okey: 5 } }, secrets })).toEqual({
      tunnel: { ...SECRET, value: { ikey: 5, okey: 5 } },
    });
    expect(plain({ values: { tunnel: "gre key 5" }, secrets })).toEqual({
      tunnel: { ...SECRET, value: "gre key 5" },
    });
    expect(plain({ values: {}, secrets })).toEqual({});
  });

  test("a property named like one of JavaScript's own is only data", () => {
    const sent = JSON.parse('{ "values": { "constructor": "x", "toString": "y" } }') as object;
    expect(plain(decode(struct(sent)))).toEqual(sent);
  });
});

/** What can be read without the passphrase. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  if ((value as Record<string, unknown>)[SIGNATURE] === SECRET[SIGNATURE]) return "hidden";
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item)]));
}
