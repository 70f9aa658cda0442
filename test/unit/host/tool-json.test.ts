import { parseToolJson } from "../../../lib/host/tool-json";

describe("what iproute2 prints of encapsulations", () => {
  test("a nexthop keeps its id beside that of the tunnel", () => {
    const printed =
      '[{"id":1000,"encap":"ip","id":77,"src":"0.0.0.0","dst":"10.9.0.2","ttl":64,"tos":0,"key":true,"dev":"gx"}]';
    expect(parseToolJson(printed)).toEqual([
      {
        id: 1000,
        encap: "ip",
        encap_id: 77,
        encap_src: "0.0.0.0",
        encap_dst: "10.9.0.2",
        ttl: 64,
        tos: 0,
        key: true,
        dev: "gx",
      },
    ]);
  });

  test("a route keeps its destination, and IPv6 is the same", () => {
    const printed =
      '[{"dst":"fd00::2/127","nhid":7,"encap":"ip6","id":77,"src":"::","dst":"2001:db8::2","hoplimit":0,"tc":0}]';
    expect(parseToolJson(printed)).toMatchObject([
      { dst: "fd00::2/127", nhid: 7, encap: "ip6", encap_dst: "2001:db8::2" },
    ]);
  });

  test("text that looks like one is left as it is", () => {
    const alias = '"encap":"ip","id":1,"src":"a","dst":"b"';
    expect(parseToolJson(JSON.stringify([{ ifalias: alias }]))).toEqual([{ ifalias: alias }]);
  });

  test("what is no JSON is an error", () => {
    expect(() => parseToolJson("Error: no such device")).toThrow(SyntaxError);
  });
});
