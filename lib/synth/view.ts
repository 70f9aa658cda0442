/** What a leaf may ask about the rest of the program when it completes its spec. */
export interface TreeView {
  /**
   * The largest packet that goes through this leaf's encapsulation unfragmented: the MTU of the link below it
   * minus what the encapsulation adds. Undefined when the leaf is no tunnel.
   *
   * @param assumed MTU of the link below when the program does not tell, in bytes
   */
  tunnelMtu(assumed?: number): number | undefined;
}
