import { isUtf8 } from "node:buffer";
import { SubscribersError } from "./findings";

/** Length of the well-formed UTF-8 sequence at an offset, 0 when there is none (RFC 3629, section 4). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  for (let i = 1; i < length; i += 1) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  // Overlong forms, surrogates and what lies above U+10FFFF.
  if (first === 0xe0 && second < 0xa0) return 0;
  if (first === 0xed && second > 0x9f) return 0;
  if (first === 0xf0 && second < 0x90) return 0;
  if (first === 0xf4 && second > 0x8f) return 0;
  return length;
}

/** Offset of the first byte that is not UTF-8, or undefined. */
export function firstInvalidUtf8(bytes: Uint8Array): number | undefined {
  if (isUtf8(bytes)) return undefined;
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at);
    if (length === 0) return at;
    at += length;
  }
  return undefined;
}

/**
 * A file's text, without its byte order mark.
 * @throws SubscribersError when it is not UTF-8, naming the offset of the first byte that is not.
 */
export function decodeUtf8(bytes: Uint8Array, source: string): string {
  const at = firstInvalidUtf8(bytes);
  if (at !== undefined) {
    const row = bytes.subarray(0, at).reduce((rows, byte) => rows + (byte === 0x0a ? 1 : 0), 1);
    const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const byte = `0x${(bytes[at] ?? 0).toString(16).padStart(2, "0")}`;
    const message = utf16
      ? `byte ${at} (${byte}) is not UTF-8: the file begins like UTF-16; save it as UTF-8`
      : `byte ${at} (${byte}) is not UTF-8; save the file as UTF-8`;
    throw new SubscribersError([{ source, row, message }], source);
  }
  // The decoder takes a byte order mark away by itself.
  return new TextDecoder("utf-8").decode(bytes);
}
