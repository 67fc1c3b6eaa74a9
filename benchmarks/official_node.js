// Times Tencent's official Node signer as standard input asks for it: microseconds a call, of each round.
const { createRequire } = require('module')
const { performance } = require('perf_hooks')

const { directory, sdkappid, key, userids, expire, rounds, calls } = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const { Api } = createRequire(directory + '/')('tls-sig-api-v2')
const api = new Api(sdkappid, key)

let next = 0
const round = () => {
  const started = performance.now()
  for (let call = 0; call < calls; call++) api.genSig(userids[next++ % userids.length], expire)
  return (performance.now() - started) * 1000 / calls
}
// The compiler needs some thousands of calls before it knows the code.
for (let call = 0; call < 10; call++) round()
process.stdout.write(JSON.stringify(Array.from({ length: rounds }, round)))
