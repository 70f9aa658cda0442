import { aptSources, imageKey, parseRelease, recipeOf } from "../../../lib/lab/recipe";

describe("the key of an image", () => {
  const recipe = recipeOf(12);

  test("is the same for the same recipe", () => {
    expect(imageKey(recipe)).toBe(imageKey(recipeOf(12)));
    expect(imageKey(recipe)).toMatch(/^12-[0-9a-f]{12}$/);
  });

  test.each([
    ["release", recipeOf(13)],
    ["packages", { ...recipe, packages: [...recipe.packages, "hello"] }],
    ["files", { ...recipe, files: { ...recipe.files, "etc/motd": "" } }],
    ["customising", { ...recipe, customize: `${recipe.customize}\n` }],
  ])("is another when the %s change", (_what, other) => {
    expect(imageKey(other)).not.toBe(imageKey(recipe));
  });
});

test("a release is given by number or by name", () => {
  expect(["11", "12", "trixie"].map(parseRelease)).toEqual([11, 12, 13]);
  expect(() => parseRelease("9")).toThrow('"9" is no release of the lab: 11, 12 or 13');
});

test("packages come from Debian, signed, or from the mirror that is named", () => {
  const from = (env: NodeJS.ProcessEnv) => aptSources(12, env).map((line) => line.replace(/ \[.*?\]/, ""));
  expect(from({})).toEqual([
    "deb http://deb.debian.org/debian bookworm main",
    "deb http://deb.debian.org/debian bookworm-updates main",
    "deb http://deb.debian.org/debian-security bookworm-security main",
  ]);
  expect(from({ NETLOOM_DEBIAN_MIRROR: "http://m/" })[0]).toBe("deb http://m/debian bookworm main");
  for (const line of aptSources(12, {})) expect(line).toContain("signed-by=/usr/share/keyrings/");
});
