import { readConfigYaml } from "../../../../constructs/xdp-l4lb/config-yaml";

const sample = `vip: 123.168.9.8
backends:
  - ip: 10.0.1.1
  - ip: 10.0.2.2
  - ip: 10.0.3.3
  - ip: 10.0.4.4
`;

const messages = (source: unknown) =>
  readConfigYaml(source).findings.map(({ path, message }) => `${path.join(".")}: ${message}`);

test("the original's config.yaml is read as it is", () => {
  expect(readConfigYaml(sample)).toEqual({
    config: {
      vip: "123.168.9.8",
      backends: [{ ip: "10.0.1.1" }, { ip: "10.0.2.2" }, { ip: "10.0.3.3" }, { ip: "10.0.4.4" }],
    },
    findings: [],
  });
});

test("what a parser made of it is read likewise", () => {
  const parsed = { vip: "2001:DB8::1", backends: [{ ip: "2001:db8:0::2" }] };
  expect(readConfigYaml(parsed).config).toEqual({ vip: "2001:db8::1", backends: [{ ip: "2001:db8::2" }] });
});

describe("what is wrong is named with its line:", () => {
  test("YAML that is none", () => {
    const [message, ...more] = messages("vip: 1.2.3.4\nbackends:\n  - ip: [10.0.1.1\n  - ip: 10.0.2.2\n");
    expect(message).toMatch(/^: line [34], column \d+: /);
    expect(more.length).toBeLessThan(4);
  });

  test("an entry twice", () => {
    expect(messages(`${sample}vip: 1.2.3.4\n`)).toEqual([": line 7, column 1: Map keys must be unique"]);
  });

  test("an address that is none", () => {
    expect(messages(sample.replace("10.0.3.3", "10.0.3.333"))).toEqual([
      expect.stringMatching(/^backends\.2\.ip: line 5: "10\.0\.3\.333" is not an IP address/),
    ]);
  });

  test("a number in an address's place", () => {
    expect(messages(sample.replace("10.0.3.3", "10.0"))).toEqual([
      expect.stringMatching(/^backends\.2\.ip: line 5: must be text$/),
    ]);
  });

  test("no VIP, no backends", () => {
    expect(messages("backends:\n  - ip: 10.0.1.1\n")).toEqual(["vip: line 1: is missing"]);
    expect(messages("vip: 1.2.3.4\n")).toEqual(["backends: line 1: is missing"]);
    expect(messages("vip: 1.2.3.4\nbackends: []\n")).toEqual([
      expect.stringMatching(/^backends: line 2: names no backend/),
    ]);
    expect(messages("vip: 1.2.3.4\nbackends:\n")).toEqual(["backends: line 2: is missing"]);
  });

  test("a word that is no entry", () => {
    expect(messages(sample.replace("- ip: 10.0.2.2", "- address: 10.0.2.2"))).toEqual([
      "backends.1.ip: line 4: is missing",
      expect.stringMatching(/^backends\.1\.address: line 4: there is no such entry/),
    ]);
  });

  test("text in place of entries, an empty file", () => {
    expect(messages("123.168.9.8\n")).toEqual([": line 1: must be vip and backends"]);
    expect(messages("")).toEqual([": must be vip and backends"]);
  });
});
