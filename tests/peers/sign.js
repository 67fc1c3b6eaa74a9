// Signs what standard input asks for with Tencent's official Node signer, its clock stopped at each request's time.
const { Api } = require('tls-sig-api-v2')

const requests = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const tokens = requests.map(({ sdkappid, key, userid, expire, now, userbuf, room, privileges }) => {
  Date.now = () => now * 1000
  const api = new Api(sdkappid, key)
  if (typeof room === 'number') return api.genPrivateMapKey(userid, expire, room, privileges)
  if (typeof room === 'string') return api.genPrivateMapKeyWithStringRoomID(userid, expire, room, privileges)
  return api.genSig(userid, expire, userbuf === null ? null : Buffer.from(userbuf, 'base64'))
})
process.stdout.write(JSON.stringify(tokens))
