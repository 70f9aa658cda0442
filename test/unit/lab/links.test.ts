import { checkLinks, linkText, parseLink } from "../../../lib/lab/links";

describe("a link as typed", () => {
  test.each([
    ["edge:1=core:2", { a: ["edge", 1], b: ["core", 2] }],
    ["edge:eth1=core:eth2", { a: ["edge", 1], b: ["core", 2] }],
  ])("%s is read", (text, link) => {
    expect(parseLink(text)).toEqual(link);
    expect(linkText(parseLink(text))).toBe("edge:1=core:2");
  });

  test.each([
    "",
    "edge",
    "edge:1",
    "edge:1=core",
    "edge:1=core:2=x:3",
    "edge:one=core:2",
    "edge:1=$(id):2",
    "Edge:1=b:1",
  ])("%p is refused", (text) => {
    expect(() => parseLink(text)).toThrow();
  });
});

describe("the links of a lab", () => {
  const machines = ["a", "b"];

  test("join interfaces that are there, each once", () => {
    expect(() =>
      checkLinks([parseLink("a:1=b:1"), parseLink("a:2=b:2"), parseLink("a:3=a:4")], machines),
    ).not.toThrow();
  });

  test.each([
    [["a:1=c:1"], "link a:1=c:1: there is no machine c (a, b)"],
    [["a:0=b:1"], "link a:0=b:1: data interfaces are 1 to 4, not 0"],
    [["a:1=b:5"], "link a:1=b:5: data interfaces are 1 to 4, not 5"],
    [["a:1=b:1", "b:2=a:1"], "link b:2=a:1: a:1 is taken by a:1=b:1"],
    [["a:1=a:1"], "link a:1=a:1: a:1 is taken by a:1=a:1"],
  ])("%p is refused", (links, message) => {
    expect(() => checkLinks(links.map(parseLink), machines)).toThrow(message);
  });
});
