"""Parts of the generator of synthetic series: stages of training, transforms, sampling."""
