"""results/: what finished runs measured, as a repository can hold it: text, and the weights of small networks."""




ROWS = 300  # of a metrics.csv: more than a figure shows
# Small as they are; pictures.json is not, and holds images that are not for publication.
WHOLE = ("result.json", "lesions.json", "detections.json", "test-*.json", "responses.csv", "gradients.csv")
