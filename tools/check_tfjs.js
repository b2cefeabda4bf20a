// Runs the original graph models in TensorFlow.js on a picture, for tools/convert_tfjs.py --check.
//   npm i @tensorflow/tfjs && node tools/check_tfjs.js MODELS_DIR OUT_DIR       (OUT_DIR/NAME-in.u8: raw RGB, 416x416 or 256x256)
const fs = require('fs');
const path = require('path');
const tf = require('@tensorflow/tfjs');

const [folder, out] = process.argv.slice(2);

function load(name) {
  const model = JSON.parse(fs.readFileSync(path.join(folder, `${name}.json`)));
  const data = fs.readFileSync(path.join(folder, `${name}.bin`));
  return tf.loadGraphModel(tf.io.fromMemory({
    modelTopology: model.modelTopology, format: model.format, signature: model.signature,
    userDefinedMetadata: model.userDefinedMetadata, weightSpecs: model.weightsManifest[0].weights,
    weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength),
  }));
}

function write(name, output, tensor) {
  fs.writeFileSync(path.join(out, `${name}-${output}.f32`), Buffer.from(new Float32Array(tensor.dataSync()).buffer));
}

function picture(name, size) {
  return tf.tensor4d(new Float32Array(fs.readFileSync(path.join(out, `${name}-in.u8`))), [1, size, size, 3]);
}

async function main() {
  const nanodet = await load('nanodet');
  const bgr = picture('nanodet', 416).reverse(3).sub([103.53, 116.28, 123.675]).div([57.375, 57.12, 58.395]).transpose([0, 3, 1, 2]);
  const d = nanodet.execute(bgr, ['Identity', 'Identity_1', 'Identity_2', 'Identity_3', 'Identity_4', 'Identity_5']);
  write('nanodet', 'person', tf.concat(d.slice(0, 3), 1).slice([0, 0, 0], [1, -1, 1]));
  write('nanodet', 'distances', tf.concat(d.slice(3), 1));
  const face = await load('blazeface');
  const f = face.execute(picture('blazeface', 256).div(127.5).sub(1), ['Identity', 'Identity_1', 'Identity_2', 'Identity_3']);
  write('blazeface', 'face', tf.sigmoid(tf.concat(f.slice(0, 2), 1)));
  write('blazeface', 'boxes', tf.concat(f.slice(2), 1));
}

main();
