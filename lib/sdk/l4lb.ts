import { l4lbServices } from "../kinds/l4lb-services";
import { resourceOf } from "./resource";

/** The services of a load balancer. */
export class Services extends resourceOf(l4lbServices) {}
