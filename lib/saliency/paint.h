// Heatmaps as pictures.
#pragma once

#include "images/image.h"
#include "saliency/saliency.h"

namespace bitfoundry::saliency {

// The map in colours, orange for the class and blue against it, each as strong as its share of the
// strongest; over the gray levels of `picture`, lightened so that colours show, or over white.
//
//   picture  of the map's size
images::Image Overlay(const images::Image& picture, const Heatmap& map);
images::Image OverWhite(const Heatmap& map);

}  // namespace bitfoundry::saliency
