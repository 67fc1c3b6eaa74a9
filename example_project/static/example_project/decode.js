/**
 * What a UserSig says of itself: its JSON document, unverified. Good for looking at, never for trusting.
 *
 * @param {string} usersig
 * @returns {Promise<object>}
 */
export async function decode(usersig) {
  const standard = { "*": "+", "-": "/", _: "=" };
  const base64 = usersig.replace(/[*_-]/g, (character) => standard[character]);
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  // "deflate" is the zlib format here; without its header it would be "deflate-raw".
  const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(inflated).json();
}
