import { shop } from '../../shop.ts'

export async function POST(request: Request): Promise<Response> {
  return (await shop()).orders(request)
}
