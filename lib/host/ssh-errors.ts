/** What sudo said, as what the user can do about it; undefined when it was not about sudo. */
export function explainSudo(stderr: string): string | undefined {
  if (/^netloom: no sudo$/m.test(stderr))
    return "the user is not root and sudo is not there: install the package sudo, or log in as root";
  const line = /^sudo: .*$/m.exec(stderr)?.[0];
  if (line === undefined && !/is not in the sudoers file|is not allowed to (execute|run sudo)/.test(stderr))
    return undefined;
  const said = line ?? stderr.trim().split("\n").at(-1);
  return `"sudo -n sh" failed (${said}): let the user run sudo without a password (NOPASSWD), or log in as root`;
}
