/** Loaded into services by a test (`--import`): writes down every module they load. */
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';

const file = process.env['BLINDFIT_TEST_MODULES'];
if (file !== undefined) {
  registerHooks({
    load(url, context, next) {
      appendFileSync(file, `${url}\n`);
      return next(url, context);
    },
  });
}
