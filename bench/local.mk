## (nothing yet)
