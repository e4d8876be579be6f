"""How good are detections? VOC's average precision, and COCO's."""
