// Tests of kernels and virtual machines end early only if something hangs: how long they take is the machine's affair.
jest.setTimeout(20 * 60_000);
