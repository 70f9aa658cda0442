/** What a leaf may ask about the rest of the program when it completes its spec. */
export interface TreeView {
  /**
   * The largest packet that goes through this leaf's encapsulation unfragmented: the smallest MTU known on the way
   * minus what the encapsulation adds. Known are the link below the tunnel and, where the program makes the other
   * end too, the link below that; 1500 when it is neither. Undefined when the leaf is no tunnel.
   *
   * @param pathMtu MTU of the path in bytes, where the program's author knows of a smaller one
   */
  tunnelMtu(pathMtu?: number): number | undefined;
}
