import { shop } from '../../../shop.ts'

/** Not `await request.json()` first: the handler needs the bytes as they came. */
export async function POST(request: Request): Promise<Response> {
  return (await shop()).github(request)
}
