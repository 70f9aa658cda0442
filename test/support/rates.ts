/**
 * The least share of its plan that a subscriber must be measured to have. An emulated processor that has others beside
 * it carries less than is asked of it, and that says nothing of the shaper: what holds a plan from above is always
 * checked. `NETLOOM_STRICT_RATES=1`, on a machine that does nothing else, asks for both.
 */
export const LEAST_SHARE = process.env["NETLOOM_STRICT_RATES"] === undefined ? 0.4 : 0.97;

/** The most: a plan is a plan. */
export const MOST_SHARE = 1.03;
