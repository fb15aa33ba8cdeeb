// node promptfoo.mjs FOLDER FILE: the test cases of a file as promptfoo loads them, with the answer that it judges, as JSON.
// FOLDER is where npm installed promptfoo. No model is asked: the answers are in the file.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [folder, file] = process.argv.slice(2);
const entry = path.join(folder, 'node_modules/promptfoo/dist/src/index.js');
const { default: promptfoo } = await import(pathToFileURL(entry));
const suite = { prompts: ['{{input}}'], providers: ['echo'], tests: `file://${file}`, writeLatestResults: false };
const evaluated = await promptfoo.evaluate(suite, { cache: false, showProgressBar: false, maxConcurrency: 1 });
const { results } = await evaluated.toEvaluateSummary();
const cases = results.map(({ testCase, response, success }) => ({
  vars: testCase.vars, assert: testCase.assert, metadata: testCase.metadata, answer: response?.output, success,
}));
// Its log is on standard output, too.
console.log(`\n${JSON.stringify(cases)}`);
