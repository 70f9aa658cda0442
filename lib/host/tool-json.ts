/**
 * How iproute2 writes a lightweight tunnel of a route or nexthop: its id and addresses under names that the route
 * itself has used already, in the same object (print_encap_ip in ip/iproute_lwtunnel.c, up to at least 6.1).
 */
const FLAT_ENCAPSULATION = /"encap":"(ip6?)","id":(\d+),"src":("[^"]*"),"dst":("[^"]*")/g;

/**
 * Reads what a tool printed as JSON. The members of an encapsulation come out as `encap_id`, `encap_src` and
 * `encap_dst`, so that a nexthop keeps its id and a route its destination. No text that the tool quotes can be
 * taken for one: quotes inside it are escaped.
 *
 * @throws SyntaxError for text that is not JSON
 */
export function parseToolJson(text: string): unknown {
  const apart = text.includes('"encap":"ip')
    ? text.replace(FLAT_ENCAPSULATION, '"encap":"$1","encap_id":$2,"encap_src":$3,"encap_dst":$4')
    : text;
  return JSON.parse(apart) as unknown;
}
