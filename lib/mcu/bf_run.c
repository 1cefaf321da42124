/* Walks through the layers. */
#include "bf_internal.h"

void bf_step(const bf_model* model, uint32_t layer, const uint8_t* image, uint32_t* arena,
             int32_t* logits) {
  const bf_layer* l = &model->layers[layer];
  uint8_t* bytes = (uint8_t*)arena;
  const void* in = l->in == BF_NONE ? image : bytes + l->in;
  const void* skip = l->add == BF_NONE ? NULL : bytes + l->add;
  void* out = l->out == BF_NONE ? (void*)logits : bytes + l->out;
  l->op(l, in, skip, out, (uint32_t*)(void*)(bytes + model->scratch));
}

void bf_run(const bf_model* model, const uint8_t* image, uint32_t* arena, int32_t* logits) {
  for (uint32_t layer = 0; layer < model->layer_count; ++layer) {
    bf_step(model, layer, image, arena, logits);
  }
}

uint32_t bf_winner(const int32_t* logits, uint32_t classes) {
  uint32_t best = 0;
  for (uint32_t i = 1; i < classes; ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}
