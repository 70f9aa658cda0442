// One project a tier, so that `npm run test:unit` needs neither root nor a virtual machine.
// execa and what it stands on are published as ES modules only, which jest cannot require on Node 20:
// they are transformed like our own sources.
const esmOnly = [
  "execa",
  "@sec-ant",
  "@sindresorhus",
  "npm-run-path",
  "path-key",
  "unicorn-magic",
  "strip-final-newline",
  "human-signals",
  "is-stream",
  "get-stream",
  "figures",
  "is-unicode-supported",
  "is-plain-obj",
  "parse-ms",
  "pretty-ms",
  "yoctocolors",
  "signal-exit",
  "p-retry",
  "is-network-error",
];

const common = {
  testEnvironment: "node",
  transform: {
    "^.+\\.(t|j|mj)s$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2022" }, module: { type: "commonjs" } },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join("|")})/)`],
  moduleNameMapper: {
    "^netloom$": "<rootDir>/lib/index.ts",
    "^unicorn-magic$": "<rootDir>/node_modules/unicorn-magic/node.js",
    "^@sindresorhus/merge-streams$": "<rootDir>/node_modules/@sindresorhus/merge-streams/index.js",
  },
  modulePathIgnorePatterns: ["<rootDir>/dist/"],
};

const tier = (name) => ({
  ...common,
  displayName: name,
  rootDir: __dirname,
  testMatch: [`<rootDir>/test/${name}/**/*.test.ts`],
  setupFilesAfterEnv: name === "unit" ? [] : ["<rootDir>/test/support/time-limit.ts"],
});

module.exports = {
  projects: [tier("unit"), tier("kernel"), tier("lab")],
  testTimeout: 30_000,
};
