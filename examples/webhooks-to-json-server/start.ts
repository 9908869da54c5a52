/** Starts the API and says what to type. `node examples/webhooks-to-json-server/start.ts` */
import { copyFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type FlakyApi, type Resource, startFlakyApi } from './flaky-api.ts'
import { writeInputs } from './inputs.ts'

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-example-'))
  copyFileSync(new URL('holdfast.yaml', import.meta.url), join(folder, 'holdfast.yaml'))
  writeInputs(folder)
  const api = await startFlakyApi(join(folder, 'db.json'))
  const program = fileURLToPath(new URL('../../bin/holdfast.mjs', import.meta.url))
  console.log(`json-server is running, behind a proxy that breaks some of its answers. In another terminal:

  cd ${folder}
  export ARCHIVE_URL=${api.url}
  alias holdfast='${process.execPath} ${program}'

  holdfast run events --input events.jsonl --key deliveryId
  holdfast run contacts --input contacts.csv --key email --rejected rejected.jsonl

Run each a second time, or kill it (kill -9) on the way and run it again. Ctrl-C here says what the API has.`)
  process.once('SIGINT', () => {
    tellWhatIsThere(api, 'deliveries', 'deliveryId')
    tellWhatIsThere(api, 'contacts', 'email')
    void api[Symbol.asyncDispose]()
  })
}

function tellWhatIsThere(api: FlakyApi, resource: Resource, key: string): void {
  const records = api.records(resource)
  const different = new Set(records.map((record) => record[key]))
  console.log(`${resource}: ${records.length} records, ${records.length - different.size} of them doubled`)
}

void main()
